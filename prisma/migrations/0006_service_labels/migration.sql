-- Labels of services: where they may run, in Rancher's terms.
ALTER TABLE "Service" ADD COLUMN "labels" JSONB NOT NULL DEFAULT '{}';

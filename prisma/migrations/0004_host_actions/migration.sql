-- Power of local hosts, cordon and evacuation as intent, options and findings of operations, the brake's release.
ALTER TABLE "Environment" ADD COLUMN "brakeReleasedAt" TIMESTAMPTZ(3);
ALTER TABLE "Host" ADD COLUMN "power" TEXT NOT NULL DEFAULT 'on';
ALTER TABLE "Host" ADD COLUMN "unschedulable" BOOLEAN;
ALTER TABLE "Host" ADD COLUMN "evacuated" BOOLEAN NOT NULL DEFAULT false;
ALTER TABLE "Operation" ADD COLUMN "options" JSONB NOT NULL DEFAULT '{}';
ALTER TABLE "Operation" ADD COLUMN "details" JSONB NOT NULL DEFAULT '{}';

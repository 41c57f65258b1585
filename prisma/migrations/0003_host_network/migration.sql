-- The network of its machine that a local host is on.
ALTER TABLE "Host" ADD COLUMN "network" TEXT;
UPDATE "Host" SET "network" = 'default' WHERE "kind" = 'local';

-- A recovery makes a new member, whose data is made from that of one of before.
ALTER TABLE "EtcdMember" RENAME COLUMN "recovery" TO "recoveredFrom";
-- What a member was last seen to hold tells what may be lost with it.
ALTER TABLE "EtcdMember" ADD COLUMN "appliedIndex" BIGINT;
ALTER TABLE "EtcdMember" ADD COLUMN "appliedAt" TIMESTAMPTZ(3);
ALTER TABLE "Environment" ADD COLUMN "etcdRecovery" TEXT;

-- AlterTable
ALTER TABLE "Environment" ADD COLUMN     "controlPlaneReplicas" INTEGER NOT NULL DEFAULT 1;

-- CreateTable
CREATE TABLE "EtcdMember" (
    "id" TEXT NOT NULL,
    "environmentId" TEXT NOT NULL,
    "hostId" TEXT NOT NULL,
    "state" TEXT NOT NULL,
    "voting" BOOLEAN NOT NULL,
    "dataDir" TEXT NOT NULL,
    "initialCluster" TEXT NOT NULL DEFAULT '',
    "initialClusterState" TEXT NOT NULL,
    "recovery" TEXT,
    "reason" TEXT NOT NULL,
    "lastError" TEXT,
    "createdAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,
    "updatedAt" TIMESTAMPTZ(3) NOT NULL DEFAULT CURRENT_TIMESTAMP,

    CONSTRAINT "EtcdMember_pkey" PRIMARY KEY ("id")
);

-- CreateIndex
CREATE INDEX "EtcdMember_hostId_idx" ON "EtcdMember"("hostId");

-- CreateIndex
CREATE UNIQUE INDEX "EtcdMember_environmentId_hostId_key" ON "EtcdMember"("environmentId", "hostId");

-- AddForeignKey
ALTER TABLE "EtcdMember" ADD CONSTRAINT "EtcdMember_environmentId_fkey" FOREIGN KEY ("environmentId") REFERENCES "Environment"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- AddForeignKey
ALTER TABLE "EtcdMember" ADD CONSTRAINT "EtcdMember_hostId_fkey" FOREIGN KEY ("hostId") REFERENCES "Host"("id") ON DELETE CASCADE ON UPDATE CASCADE;

-- The members of environments that there are already keep their data where it is.
INSERT INTO "EtcdMember" ("id", "environmentId", "hostId", "state", "voting", "dataDir", "initialCluster",
  "initialClusterState", "reason")
SELECT DISTINCT ON (i."environmentId", i."hostId")
  'etm_' || substr(md5(i."environmentId" || i."hostId"), 1, 16), i."environmentId", i."hostId", 'voter', true,
  '/var/lib/etcd', h."name" || '=https://' || coalesce(h."address", h."facts" ->> 'address') || ':2380', 'new',
  'it was there before members were recorded'
FROM "Instance" i JOIN "Host" h ON h."id" = i."hostId"
WHERE i."service" = 'etcd' AND i."removedAt" IS NULL AND i."state" <> 'stopping' AND h."removedAt" IS NULL;

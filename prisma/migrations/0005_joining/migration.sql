-- Joining: the identity that was replaced, the machine an identity was seen on, the labels a host joined with.
ALTER TABLE "Host" ADD COLUMN     "replacedHash" TEXT,
ADD COLUMN     "fingerprint" TEXT,
ADD COLUMN     "joinedLabels" JSONB;

-- CreateIndex
CREATE UNIQUE INDEX "Host_replacedHash_key" ON "Host"("replacedHash");

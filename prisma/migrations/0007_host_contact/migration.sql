-- Every host's last contact is written every few seconds. Without an index on it, and with room on each page, that is an
-- update in place (heap-only), which leaves nothing for vacuum to clear from nine indexes.
DROP INDEX "Host_lastSeenAt_idx";
ALTER TABLE "Host" SET (fillfactor = 60);

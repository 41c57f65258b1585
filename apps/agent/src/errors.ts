/** An error in words for a user: what the system calls ENOSPC is a full disk. */
export function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code, path } = error as NodeJS.ErrnoException;
  const where = path === undefined ? '' : ` while writing ${path}`;
  if (code === 'ENOSPC') return `the disk is full${where} (ENOSPC): free some space; it is tried again`;
  if (code === 'EDQUOT') return `the disk quota is used up${where} (EDQUOT)`;
  if (code === 'EROFS') return `the file system is read-only${where} (EROFS)`;
  return error.message;
}

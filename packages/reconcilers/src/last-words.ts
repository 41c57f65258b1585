/** Longest that is told of a line, in characters. */
const longest = 300;

/**
 * Why a process says that it ended: the last line of its log that is an error by its form, which is JSON (etcd), klog
 * (Kubernetes), a plain `panic: …`, `error: …`, or the dynamic linker's. Undefined where none is; a guess would mislead.
 */
export function lastWords(logTail: readonly string[] | null): string | undefined {
  for (const line of [...(logTail ?? [])].reverse()) {
    const words = ofJson(line) ?? ofText(line);
    if (words !== undefined) return words.slice(0, longest);
  }
  return undefined;
}

function ofJson(line: string): string | undefined {
  if (!line.startsWith('{')) return undefined;
  try {
    const { level, msg, error, err } = JSON.parse(line) as Record<string, unknown>;
    if (!['error', 'dpanic', 'panic', 'fatal'].includes(String(level).toLowerCase())) return undefined;
    const words = [msg, error ?? err].filter((word) => typeof word === 'string' && word !== '');
    return words.length === 0 ? undefined : words.join(': ');
  } catch {
    return undefined;
  }
}

function ofText(line: string): string | undefined {
  const klog = /^[EF]\d{4} [^\]]*\] (.+)$/.exec(line)?.[1];
  return (
    klog ??
    /^(?:panic|fatal error|fatal|error|\S+: error while loading shared libraries): .+$/i.exec(line)?.[0]
  );
}

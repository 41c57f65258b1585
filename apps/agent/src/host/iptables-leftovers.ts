import { run, tryRun } from '../run.ts';

const families = [
  { save: 'iptables-save', iptables: 'iptables', nft: 'ip' },
  { save: 'ip6tables-save', iptables: 'ip6tables', nft: 'ip6' },
] as const;
const tables = ['mangle', 'filter', 'nat'] as const;

/** Removes the chains that kubelet, kube-proxy and our network daemon leave behind, and the tables that are empty without. */
export async function removeChains(): Promise<void> {
  for (const { save, iptables, nft } of families) {
    for (const table of tables) {
      const rules = await run(save, ['-t', table]).catch(() => '');
      for (const args of chainRemovals(rules)) await tryRun(iptables, ['-w', '-t', table, ...args]);
      const left = await run('nft', ['list', 'table', nft, table]).catch(() => undefined);
      if (left !== undefined && isEmptyTable(left)) await tryRun('nft', ['delete', 'table', nft, table]);
    }
  }
}

/** Arguments of iptables(8) that take the chains `KUBE-…` and `RANCHER-…` of an `iptables-save` away: what leads there, then them. */
export function chainRemovals(saved: string): string[][] {
  const lines = saved.split('\n');
  const chains = lines.flatMap((line) => /^:((?:KUBE|RANCHER)-[A-Z0-9-]+) /.exec(line)?.[1] ?? []);
  const leading = lines.filter(
    (line) => /^-A (?!KUBE-|RANCHER-)/.test(line) && / -[jg] (?:KUBE|RANCHER)-/.test(line),
  );
  return [
    ...leading.map((line) => ['-D', ...words(line.slice('-A '.length))]),
    ...chains.map((chain) => ['-F', chain]),
    ...chains.map((chain) => ['-X', chain]),
  ];
}

/** Words of a line of iptables-save: comments are in double quotes. */
function words(line: string): string[] {
  return [...line.matchAll(/"((?:[^"\\]|\\.)*)"|(\S+)/g)].map(
    ([, quoted, plain]) => quoted?.replace(/\\(.)/g, '$1') ?? plain!,
  );
}

/** Whether `nft list table` shows no rule, and no chain that does anything but accept. */
export function isEmptyTable(listed: string): boolean {
  return listed
    .split('\n')
    .map((line) => line.trim())
    .every((line) => /^(#.*|table .*|chain .*|type .* policy accept;|\}|)$/.test(line));
}

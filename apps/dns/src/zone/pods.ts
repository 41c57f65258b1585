import { isIP } from 'node:net';
import { hashOf } from '../wire/name.ts';
import type { Query } from '../wire/query.ts';
import type { AnswerTable } from './table.ts';
import { expandV6, type Zone } from './zones.ts';

const podLabel = Buffer.from('\x03pod', 'latin1');

/**
 * The address that the name of a pod spells: `10-42-0-7.<namespace>.pod.<domain>`, IPv6 with `-` for `:`. Undefined where the
 * name is none, or the namespace does not exist. As kubeadm sets CoreDNS up (`pods insecure`): that a pod has the address
 * is not looked at, so that not every host needs to watch every pod.
 */
export function podAddress(query: Query, zone: Zone, table: AnswerTable): Uint8Array | undefined {
  const { name, labels, labelCount, nameLength } = query;
  const podAt = nameLength - zone.name.length - podLabel.length;
  if (podAt <= 0 || labels[2] !== podAt || labelCount < 3) return undefined;
  for (let i = 0; i < podLabel.length; i++) if (name[podAt + i] !== podLabel[i]) return undefined;
  const namespaceAt = labels[1]!;
  if (table.find(name, namespaceAt, nameLength, hashOf(name, namespaceAt, nameLength)) === 0)
    return undefined;
  const label = name.toString('latin1', 1, namespaceAt);
  const v4 = label.replaceAll('-', '.');
  if (isIP(v4) === 4) return Uint8Array.from(v4.split('.'), Number);
  const v6 = label.replaceAll('-', ':');
  return isIP(v6) === 6 ? expandV6(v6) : undefined;
}

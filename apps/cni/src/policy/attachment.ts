import type { Attachment } from '@rancher/network-policy';
import { type Attachment as Connected, keyOf } from '../plugin/attachments.ts';

/** What policies need of a connected container; undefined before it has addresses, and where it is no pod of Kubernetes. */
export function policyAttachment(connected: Connected): Attachment | undefined {
  const addresses = (connected.result?.ips ?? []).map(({ address }) => address.split('/')[0]!);
  const args = new Map(connected.args.split(';').map((pair) => pair.split('=', 2) as [string, string]));
  const namespace = args.get('K8S_POD_NAMESPACE');
  if (addresses.length === 0 || namespace === undefined) return undefined;
  return {
    id: keyOf(connected),
    namespace,
    name: args.get('K8S_POD_NAME') ?? '',
    uid: args.get('K8S_POD_UID') ?? '',
    addresses,
  };
}

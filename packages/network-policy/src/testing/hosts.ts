import { HostPolicies } from '../host-policies.ts';
import { namespaceOf, podOf, policyOf } from '../objects.ts';
import type { World } from './evaluate.ts';

/** What a host makes of a world. */
export function hostOf(world: World, node: string): HostPolicies {
  const host = new HostPolicies(node);
  for (const namespace of world.namespaces) host.setNamespace(namespaceOf(namespace));
  for (const object of world.pods) {
    const pod = podOf(object);
    if (pod) host.setPod(pod);
  }
  for (const policy of world.policies) host.setPolicy(policyOf(policy));
  return host;
}

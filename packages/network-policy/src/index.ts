export { type Attachment, HostPolicies, type HostService } from './host-policies.ts';
export { hostNft, type Nft } from './nft.ts';
export {
  type Namespace,
  type NamespaceObject,
  namespaceOf,
  type Pod,
  type PodObject,
  type Policy,
  type PolicyObject,
  podKey,
  podOf,
  policyOf,
} from './objects.ts';
export { emptyRuleset } from './ruleset.ts';
export { closeScripts, replaceScript } from './script.ts';
export { RuleWriter, type WriterState } from './writer.ts';

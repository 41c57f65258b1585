import { type FileSpec, servicePath } from '@rancher/domain';
import { yaml } from '../shared/yaml.ts';

const service = 'kube-apiserver';

export const auditDirectory = servicePath(service, 'audit');

/** Anonymous callers may ask for health, nothing else. */
export const authenticationFile: FileSpec = {
  path: servicePath(service, 'authentication.yaml'),
  mode: 0o600,
  content: yaml({
    apiVersion: 'apiserver.config.k8s.io/v1',
    kind: 'AuthenticationConfiguration',
    anonymous: { enabled: true, conditions: ['/livez', '/readyz', '/healthz'].map((path) => ({ path })) },
  }),
};

/**
 * Who changed what, without bodies, so that no secret gets into the log; reads only of secrets. The system's own
 * constant traffic (leases, events, health, watches of nodes and proxies) is left out.
 */
export const auditPolicyFile: FileSpec = {
  path: servicePath(service, 'audit-policy.yaml'),
  mode: 0o600,
  content: yaml({
    apiVersion: 'audit.k8s.io/v1',
    kind: 'Policy',
    omitStages: ['RequestReceived'],
    rules: [
      {
        level: 'None',
        nonResourceURLs: ['/livez*', '/readyz*', '/healthz*', '/version', '/openapi*', '/metrics'],
      },
      {
        level: 'None',
        resources: [
          { group: '', resources: ['events'] },
          { group: 'events.k8s.io', resources: ['events'] },
          { group: 'coordination.k8s.io', resources: ['leases'] },
        ],
      },
      {
        level: 'None',
        userGroups: ['system:nodes'],
        verbs: ['update', 'patch'],
        resources: [{ group: '', resources: ['nodes/status', 'pods/status'] }],
      },
      {
        level: 'Metadata',
        resources: [
          {
            group: '',
            resources: ['secrets', 'serviceaccounts/token', 'pods/exec', 'pods/attach', 'pods/portforward'],
          },
        ],
      },
      { level: 'None', verbs: ['get', 'list', 'watch'] },
      { level: 'Metadata' },
    ],
  }),
};

import type { App, Context } from '../context.ts';
import { etcd } from './internal/etcd.ts';
import { hostRelay, peerProbe } from './internal/hosts.ts';
import { k8s } from './k8s/index.ts';
import { livez } from './livez/index.ts';
import { metrics } from './metrics/index.ts';
import { readyz } from './readyz/index.ts';
import { agent } from './v1/agent/index.ts';
import { apiKeys } from './v1/api-keys/index.ts';
import { environments } from './v1/environments/index.ts';
import { events } from './v1/events/index.ts';
import { hosts } from './v1/hosts/index.ts';
import { instances } from './v1/instances/index.ts';
import { operations } from './v1/operations/index.ts';
import { plans } from './v1/plans/index.ts';
import { registrationTokens } from './v1/registration-tokens/index.ts';
import { services } from './v1/services/index.ts';
import { stacks } from './v1/stacks/index.ts';
import { versions } from './v1/versions/index.ts';

/** Every route. The folders are the paths. */
export async function routes(app: App, context: Context): Promise<void> {
  environments(app, context);
  hosts(app, context);
  registrationTokens(app, context);
  stacks(app, context);
  services(app, context);
  instances(app, context);
  operations(app, context);
  plans(app, context);
  events(app, context);
  versions(app);
  apiKeys(app, context);
  agent(app, context);
  livez(app);
  readyz(app, context);
  metrics(app, context);
  etcd(app, context);
  hostRelay(app, context);
  peerProbe(app, context);
  await k8s(app, context);
}

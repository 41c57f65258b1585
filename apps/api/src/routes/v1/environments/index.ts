import type { App, Context } from '../../../context.ts';
import { activationActions } from './actions/activation.ts';
import { generateKubeconfig } from './actions/generate-kubeconfig.ts';
import { recoverEtcd } from './actions/recover-etcd.ts';
import { releaseBrake } from './actions/release-brake.ts';
import { createEnvironment } from './create.ts';
import { getEnvironment } from './get.ts';
import { listEnvironments } from './list.ts';
import { patchEnvironment } from './patch.ts';
import { removeEnvironment } from './remove.ts';

export function environments(app: App, context: Context): void {
  listEnvironments(app, context);
  createEnvironment(app, context);
  getEnvironment(app, context);
  patchEnvironment(app, context);
  removeEnvironment(app, context);
  activationActions(app, context);
  generateKubeconfig(app, context);
  recoverEtcd(app, context);
  releaseBrake(app, context);
}

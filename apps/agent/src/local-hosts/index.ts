/** What the CLI needs to set up and tear down this machine; the rest is the agent's own. */
export { type Bridge, ensureBridge } from './bridge.ts';
export { installationId } from './names.ts';
export { powerOff } from './power-off.ts';
export { purgeInstallation } from './purge.ts';

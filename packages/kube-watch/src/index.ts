export { type KubeAccess, KubeClient, KubeError } from './client.ts';
export { type KubeObject, type Watch, type WatchEvent, type WatchOptions, watchObjects } from './watch.ts';

export { coredns } from './coredns.ts';
export { type ClientFiles, startKubernetes, type TestKubernetes } from './kubernetes.ts';
export { freePort } from './ports.ts';
export { startPostgres, type TestServer } from './postgres.ts';
export { startRedis } from './redis.ts';
export { until } from './until.ts';

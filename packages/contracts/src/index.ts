export * from './agent-protocol.ts';
export * from './jobs.ts';
export * from './notifications.ts';

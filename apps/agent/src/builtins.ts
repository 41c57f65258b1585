/**
 * `import … from 'node:http'` reads every export of it, and with `WebSocket` loads all of undici: 8 MB that no agent
 * needs. Got this way, only what is used is loaded.
 */
export const http = process.getBuiltinModule('node:http');

/** Loaded by the first gRPC probe; a host without one does not need it. */
export const http2 = () => process.getBuiltinModule('node:http2');

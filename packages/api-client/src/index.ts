export { type ApiClient, type ApiClientOptions, ApiError, createClient, unwrap } from './client.ts';
export * from './generated/sdk.gen.ts';
export type * from './generated/types.gen.ts';

export * from './authority.ts';
export * from './keys.ts';
export * from './seal.ts';

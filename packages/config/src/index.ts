export { type Config, loadConfig } from './config.ts';
export { configurationTable } from './docs.ts';

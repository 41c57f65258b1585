export { sharedCacheDir } from './cache-dir.ts';
export { checkHostPackages, ensureHostPackages, type MissingProgram } from './host-packages.ts';
export type { FileEntry, Manifest, SourceName } from './manifest.ts';
export type { OnProgress, Progress, ProgressStep } from './progress.ts';
export {
  type ArtifactLogger,
  type ArtifactStore,
  type ArtifactStoreOptions,
  createArtifactStore,
} from './store.ts';
export { type Arch, nodeArtifact, type Release, releases } from './versions.ts';

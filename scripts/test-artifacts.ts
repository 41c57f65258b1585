/**
 * Fetches the programs that only tests need, before the tests: on a machine that has to build them it takes minutes, which
 * is more than a test may wait, and all the machine has.
 */
import { createArtifactStore, sharedCacheDir } from '@rancher/artifacts';
import { coredns } from '@rancher/testing';

const store = createArtifactStore({ cacheDir: sharedCacheDir() });
let said = '';
await store.ensure(coredns, ({ message }) => {
  if (message !== said) console.log(message);
  said = message;
});

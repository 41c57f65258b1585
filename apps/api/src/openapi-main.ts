import { writeFile } from 'node:fs/promises';
import { openApiDocument } from './openapi.ts';

/** Writes openapi/v1.json. A test compares it, so it is run after a change of routes (`npm run generate`). */
await writeFile(new URL('../../../openapi/v1.json', import.meta.url), await openApiDocument());

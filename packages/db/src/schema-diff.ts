import { PrismaPg } from '@prisma/adapter-pg';
import { bindMigrationAwareSqlAdapterFactory } from '@prisma/driver-adapter-utils';
import { type DiffTarget, SchemaEngine } from '@prisma/schema-engine-wasm';

/**
 * The SQL that brings a database from one schema.prisma (its text; empty: from nothing) to another, by Prisma's own engine
 * as WebAssembly, so that nothing is downloaded. For developers and tests.
 * @param url any Postgres that answers: the engine asks for its version. (It cannot read the schema of one through
 *   @prisma/adapter-pg 7.10, which does not know the catalogue's type "char".)
 */
export async function schemaDiff(url: string, from: string, to: string): Promise<string> {
  const factory = bindMigrationAwareSqlAdapterFactory(new PrismaPg(url));
  // It logs what it does; what goes wrong it throws.
  const engine = await SchemaEngine.new({ datamodels: [['schema.prisma', to]] }, () => {}, factory);
  try {
    const { stdout } = await engine.diff({
      from: from === '' ? { tag: 'empty' } : datamodel(from),
      to: datamodel(to),
      script: true,
      exitCode: null,
      shadowDatabaseUrl: null,
      filters: { externalTables: [], externalEnums: [] },
    } as Parameters<SchemaEngine['diff']>[0]);
    return stdout ?? '';
  } finally {
    engine.free();
  }
}

function datamodel(content: string): DiffTarget {
  return { tag: 'schemaDatamodel', files: [{ path: 'schema.prisma', content }] };
}

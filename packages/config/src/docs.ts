import { variableEntries } from './variables.ts';

/** The table of docs/configuration.md: a test holds the two equal. */
export function configurationTable(): string {
  const rows = variableEntries.map(({ name, schema, required }) => {
    const fallback = required ? `\`${schema.default}\`` : schema.default;
    return `| \`${name}\` | ${schema.description} | ${fallback} |`;
  });
  return ['| Variable | Meaning | Default |', '|---|---|---|', ...rows].join('\n');
}

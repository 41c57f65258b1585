import { stringify } from 'yaml';

/** YAML of a value: keys in the order they were written, no line folded, the same text for the same value. */
export function yaml(value: unknown): string {
  return stringify(value, { lineWidth: 0, aliasDuplicateObjects: false });
}

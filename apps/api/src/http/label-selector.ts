import { DomainError } from '@rancher/domain';

export type Requirement =
  | { key: string; operator: 'in'; values: string[] }
  | { key: string; operator: 'notIn'; values: string[] }
  | { key: string; operator: 'exists' }
  | { key: string; operator: 'doesNotExist' };

const key = `[A-Za-z0-9](?:[-A-Za-z0-9_./]*[A-Za-z0-9])?`;
const value = `(?:[A-Za-z0-9](?:[-A-Za-z0-9_.]*[A-Za-z0-9])?)?`;
const exists = new RegExp(`^(!?)\\s*(${key})$`);
const equality = new RegExp(`^(${key})\\s*(==|=|!=)\\s*(${value})$`);
const set = new RegExp(`^(${key})\\s+(in|notin)\\s*\\(([^()]*)\\)$`);
const setValue = new RegExp(`^${value}$`);

/**
 * Parses a label selector in Kubernetes' syntax (`k8s.io/apimachinery/pkg/labels`).
 * @throws DomainError `invalid_value` that quotes the part which is wrong
 */
export function parseLabelSelector(text: string): Requirement[] {
  return text
    .split(/,(?![^(]*\))/)
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .map(parseRequirement);
}

function parseRequirement(part: string): Requirement {
  const e = exists.exec(part);
  if (e !== null) return { key: e[2]!, operator: e[1] === '!' ? 'doesNotExist' : 'exists' };
  const q = equality.exec(part);
  if (q !== null) return { key: q[1]!, operator: q[2] === '!=' ? 'notIn' : 'in', values: [q[3]!] };
  const s = set.exec(part);
  if (s !== null) {
    const values = s[3]!.split(',').map((v) => v.trim());
    if (values.every((v) => setValue.test(v))) {
      return { key: s[1]!, operator: s[2] === 'in' ? 'in' : 'notIn', values };
    }
  }
  throw new DomainError(
    'invalid_value',
    `labelSelector: "${part}" is not a requirement such as a=b, a!=b, a in (b,c), a or !a.`,
  );
}

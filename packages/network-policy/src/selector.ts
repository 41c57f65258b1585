/** Label selectors of Kubernetes (`metav1.LabelSelector`). */

export interface LabelSelector {
  matchLabels?: Record<string, string>;
  matchExpressions?: { key: string; operator: string; values?: string[] }[];
}

interface Requirement {
  key: string;
  operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist';
  values: string[];
}

/** All of its requirements must hold; none: everything is selected. */
export interface Selector {
  requirements: Requirement[];
  /** Selectors of the same meaning, as far as their order and repetition go, have the same key. */
  key: string;
}

export function selectorOf(selector: LabelSelector): Selector {
  const equal = Object.entries(selector.matchLabels ?? {}).map(
    ([key, value]): Requirement => ({ key, operator: 'In', values: [value] }),
  );
  const expressions = (selector.matchExpressions ?? []).map(
    ({ key, operator, values = [] }): Requirement => ({
      key,
      operator: operator as Requirement['operator'],
      values: [...new Set(values)].sort(),
    }),
  );
  const byText = new Map([...equal, ...expressions].map((r) => [JSON.stringify(r), r]));
  const texts = [...byText.keys()].sort();
  return { requirements: texts.map((text) => byText.get(text)!), key: texts.join('') };
}

/** Whether labels meet every requirement. One of an operator that is not known selects nothing. */
export function selects(selector: Selector, labels: Record<string, string>): boolean {
  return selector.requirements.every(({ key, operator, values }) => {
    const value = Object.hasOwn(labels, key) ? labels[key] : undefined;
    if (operator === 'In') return value !== undefined && values.includes(value);
    if (operator === 'NotIn') return value === undefined || !values.includes(value);
    if (operator === 'Exists') return value !== undefined;
    return operator === 'DoesNotExist' && value === undefined;
  });
}

import { components } from '@rancher/components';
import type { Queryable, Service } from '@rancher/db';
import { DomainError, parseScheduling } from '@rancher/domain';
import { systemStackName } from '@rancher/reconcilers';

const globalLabel = 'io.rancher.scheduler.global';

/**
 * Judges the labels that a service would have.
 * @throws DomainError `invalid_value` with a pointer to the label
 */
export async function checkLabels(
  db: Pick<Queryable, 'service'>,
  service: Service,
  labels: Record<string, string>,
): Promise<void> {
  const { global, rules } = parseScheduling(labels, { stack: systemStackName, service: service.name });
  if (global !== null) checkGlobal(service, global);
  const named = rules.filter((rule) => rule.kind === 'container');
  if (named.length === 0) return;
  const others = await db.service.findMany({
    where: { environmentId: service.environmentId },
    select: { name: true },
    orderBy: { name: 'asc' },
  });
  const known = others.map(({ name }) => name);
  for (const { names, not, soft } of named) {
    const unknown = names.find((n) => !known.includes(n.replace(`${systemStackName}/`, '')));
    if (unknown === undefined) continue;
    refuse(
      `io.rancher.scheduler.affinity:container${soft ? '_soft' : ''}${not ? '_ne' : ''}`,
      `There is no service ${unknown} here; there is ${known.join(', ')}.`,
    );
  }
}

function checkGlobal(service: Service, global: boolean): void {
  const placement = components.find((c) => c.name === service.name)?.placement;
  if (placement === 'all' && !global)
    refuse(
      globalLabel,
      `${service.name} is part of every node, so it is always global; leave the label out.`,
    );
  if (placement === 'etcd')
    refuse(
      globalLabel,
      'etcd has 1, 3 or 5 members, so it is never global; leave the label out, and choose the number with the environment.',
    );
}

function refuse(label: string, message: string): never {
  throw new DomainError('invalid_value', message, { pointer: `/labels/${label}` });
}

import { DomainError } from '@rancher/domain';

export const keyRoles = ['admin', 'read-only', 'system'] as const;
export type KeyRole = (typeof keyRoles)[number];

export interface KeyPrincipal {
  kind: 'key';
  id: string;
  name: string;
  role: KeyRole;
  /** Null: every environment. Else nothing else can be seen. */
  environmentId: string | null;
}
export interface HostPrincipal {
  kind: 'host';
  id: string;
  environmentId: string | null;
}
/** A machine that has not joined yet: its registration token stands for it. */
export interface JoiningPrincipal {
  kind: 'joining';
  /** Of the token. */
  id: string;
}
export type Principal = KeyPrincipal | HostPrincipal | JoiningPrincipal;

/** The `where` that leaves only what the caller may see. */
export function visibleTo(principal: KeyPrincipal): { environmentId?: string } {
  return principal.environmentId === null ? {} : { environmentId: principal.environmentId };
}

export function maySee(principal: KeyPrincipal, environmentId: string | null): boolean {
  return principal.environmentId === null || principal.environmentId === environmentId;
}

/** @throws DomainError `forbidden` for a key that is bound to one environment */
export function requireUnscoped(principal: KeyPrincipal, what: string): void {
  if (principal.environmentId !== null) {
    throw new DomainError('forbidden', `This key is for one environment alone and cannot ${what}.`);
  }
}

/** What one may not see does not exist for one. */
export function notFound(kind: string, id: string): DomainError {
  return new DomainError('not_found', `There is no ${kind} ${id}.`);
}

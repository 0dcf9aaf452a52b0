import type { Problem } from './change.ts';
import { type Fragment, jsonRows, NO_ROWS } from './observe.ts';

/** An enabled event trigger that calls a function of somebody who is no superuser. */
export interface ForeignEventTrigger {
  readonly name: string;
  readonly owner: string;
}

/**
 * Event triggers run as whoever makes the change that fires them. Superusers alone make them, but the function of one may
 * belong to, or have been given to, somebody else.
 */
export function observeForeignEventTriggers(): Fragment {
  return {
    key: 'foreignEventTriggers',
    // Citus has one of its own in each database; the planner would read all functions to join the two.
    when: `EXISTS (SELECT FROM pg_catalog.pg_event_trigger e WHERE e.evtenabled <> 'D'
      AND (SELECT p.proowner FROM pg_catalog.pg_proc p WHERE p.oid = e.evtfoid)
        <> ALL (ARRAY(SELECT r.oid FROM pg_catalog.pg_roles r WHERE r.rolsuper)))`,
    otherwise: NO_ROWS,
    value: jsonRows(`
      SELECT e.evtname AS name, pg_catalog.pg_get_userbyid(p.proowner) AS owner
      FROM pg_catalog.pg_event_trigger e JOIN pg_catalog.pg_proc p ON p.oid = e.evtfoid
        JOIN pg_catalog.pg_roles r ON r.oid = p.proowner
      WHERE e.evtenabled <> 'D' AND NOT r.rolsuper ORDER BY e.evtname`),
  };
}

export function eventTriggerProblems(found: readonly ForeignEventTrigger[], node: string): readonly Problem[] {
  return found.map(({ name, owner }) => ({
    kind: 'refused',
    what: `Event trigger '${name}' calls a function of '${owner}', which each change would run as superuser`,
    node,
    next: 'Give the function to a superuser (ALTER FUNCTION … OWNER TO) once its text was read, or disable the event trigger',
  }));
}

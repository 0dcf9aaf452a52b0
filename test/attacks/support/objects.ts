/** Objects of an owner that run a function when somebody touches them: what no command of this program may do. */

export interface Bait {
  /** Also the trap's name. */
  readonly name: string;
  readonly plant: (trap: string) => string;
  /** What a careless superuser would do. */
  readonly provoke: string;
}

const trigger = (name: string, trap: string) =>
  `CREATE FUNCTION public.${name}() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN PERFORM ${trap}; RETURN coalesce(NEW, OLD); END $f$;`;

export const BAITS: readonly Bait[] = [
  {
    name: 'a view by the name of a catalog',
    plant: (trap) => `CREATE VIEW public.pg_roles AS SELECT * FROM pg_catalog.pg_roles WHERE ${trap}`,
    provoke: 'SELECT * FROM public.pg_roles',
  },
  {
    name: "a view by the name of Citus' catalog",
    plant: (trap) => `CREATE VIEW public.pg_dist_node AS SELECT 1 AS nodeid WHERE ${trap}`,
    provoke: 'SELECT * FROM public.pg_dist_node',
  },
  {
    name: 'a default',
    plant: (trap) => `CREATE TABLE public.b_default (a int, b boolean DEFAULT ${trap})`,
    provoke: 'INSERT INTO public.b_default (a) VALUES (1)',
  },
  {
    name: 'a check constraint',
    plant: (trap) => `CREATE TABLE public.b_check (a int CHECK (${trap}))`,
    provoke: 'INSERT INTO public.b_check VALUES (1)',
  },
  {
    name: 'a generated column',
    plant: (trap) =>
      `CREATE TABLE public.b_generated (a int, b boolean GENERATED ALWAYS AS (a > 0 AND ${trap}) STORED)`,
    provoke: 'INSERT INTO public.b_generated VALUES (1)',
  },
  {
    name: 'an index on an expression',
    plant: (trap) => `CREATE TABLE public.b_index (a int); CREATE INDEX ON public.b_index ((a > 0 AND ${trap}))`,
    provoke: 'INSERT INTO public.b_index VALUES (1)',
  },
  {
    name: 'a partial index',
    plant: (trap) =>
      `CREATE TABLE public.b_partial (a int); CREATE INDEX ON public.b_partial (a) WHERE a > 0 AND ${trap}`,
    provoke: 'INSERT INTO public.b_partial VALUES (1)',
  },
  {
    name: 'a trigger on rows',
    plant: (trap) => `CREATE TABLE public.b_row (a int); ${trigger('f_row', trap)}
      CREATE TRIGGER t BEFORE INSERT ON public.b_row FOR EACH ROW EXECUTE FUNCTION public.f_row()`,
    provoke: 'INSERT INTO public.b_row VALUES (1)',
  },
  {
    name: 'a trigger on statements',
    plant: (trap) => `CREATE TABLE public.b_statement (a int); ${trigger('f_statement', trap)}
      CREATE TRIGGER t AFTER UPDATE ON public.b_statement FOR EACH STATEMENT EXECUTE FUNCTION public.f_statement()`,
    provoke: 'UPDATE public.b_statement SET a = 1',
  },
  {
    name: 'a trigger on TRUNCATE',
    plant: (trap) => `CREATE TABLE public.b_truncate (a int); ${trigger('f_truncate', trap)}
      CREATE TRIGGER t BEFORE TRUNCATE ON public.b_truncate FOR EACH STATEMENT EXECUTE FUNCTION public.f_truncate()`,
    provoke: 'TRUNCATE public.b_truncate',
  },
  {
    name: 'a constraint trigger that waits for COMMIT',
    plant: (trap) => `CREATE TABLE public.b_deferred (a int); ${trigger('f_deferred', trap)}
      CREATE CONSTRAINT TRIGGER t AFTER INSERT ON public.b_deferred DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION public.f_deferred()`,
    provoke: 'INSERT INTO public.b_deferred VALUES (1)',
  },
  {
    name: 'a trigger in the place of a view',
    plant: (trap) => `CREATE VIEW public.b_instead AS SELECT 1 AS a; ${trigger('f_instead', trap)}
      CREATE TRIGGER t INSTEAD OF INSERT ON public.b_instead FOR EACH ROW EXECUTE FUNCTION public.f_instead()`,
    provoke: 'INSERT INTO public.b_instead VALUES (1)',
  },
  {
    name: 'a rule on INSERT',
    plant: (trap) => `CREATE TABLE public.b_rule (a int);
      CREATE RULE r AS ON INSERT TO public.b_rule DO ALSO SELECT ${trap}`,
    provoke: 'INSERT INTO public.b_rule VALUES (1)',
  },
  {
    name: 'a rule on DELETE',
    plant: (trap) => `CREATE TABLE public.b_delete (a int);
      CREATE RULE r AS ON DELETE TO public.b_delete DO INSTEAD SELECT ${trap}`,
    provoke: 'DELETE FROM public.b_delete',
  },
  {
    name: 'a domain',
    plant: (trap) => `CREATE DOMAIN public.b_domain AS pg_catalog.text CHECK (${trap})`,
    provoke: "SELECT 'x'::public.b_domain",
  },
  {
    name: 'a domain by the name of a type',
    plant: (trap) => `CREATE DOMAIN public.int8 AS pg_catalog.int8 CHECK (${trap})`,
    provoke: "SELECT '1'::public.int8",
  },
  {
    name: 'a cast',
    plant: (trap) => `CREATE TYPE public.b_enum AS ENUM ('x');
      CREATE FUNCTION public.f_cast(public.b_enum) RETURNS json LANGUAGE plpgsql AS
        $f$ BEGIN PERFORM ${trap}; RETURN '1'; END $f$;
      CREATE CAST (public.b_enum AS json) WITH FUNCTION public.f_cast(public.b_enum);`,
    provoke: "SELECT to_jsonb('x'::public.b_enum)",
  },
  {
    name: 'an aggregate',
    plant: (trap) => `CREATE FUNCTION public.f_state(boolean, int) RETURNS boolean LANGUAGE plpgsql AS
        $f$ BEGIN RETURN ${trap}; END $f$;
      CREATE AGGREGATE public.count(int) (SFUNC = public.f_state, STYPE = boolean)`,
    provoke: 'SELECT public.count(1)',
  },
  {
    name: 'a materialized view',
    plant: (trap) => `CREATE FUNCTION public.f_late() RETURNS boolean LANGUAGE plpgsql AS
        $f$ BEGIN RETURN ${trap}; END $f$;
      CREATE VIEW public.b_below AS SELECT public.f_late() AS a;
      CREATE MATERIALIZED VIEW public.b_materialized AS SELECT 1 AS a WITH NO DATA`,
    provoke: 'SELECT * FROM public.b_below',
  },
  {
    name: 'the key of a partitioned table',
    plant: (trap) => `CREATE TABLE public.b_partitioned (a int) PARTITION BY LIST ((a > 0 AND ${trap}));
      CREATE TABLE public.b_partition PARTITION OF public.b_partitioned DEFAULT`,
    provoke: 'INSERT INTO public.b_partitioned VALUES (1)',
  },
  {
    name: 'a procedure',
    plant: (trap) => `CREATE PROCEDURE public.citus_finish_citus_upgrade() LANGUAGE plpgsql AS
        $f$ BEGIN PERFORM ${trap}; END $f$`,
    provoke: 'CALL public.citus_finish_citus_upgrade()',
  },
  {
    name: "a table by the name of the program's own",
    plant: (trap) => `CREATE TABLE public.managed_database (name text, b boolean DEFAULT ${trap});
      CREATE TABLE public.init_sql (hash text, b boolean DEFAULT ${trap}); CREATE SCHEMA citus_databases_probe`,
    provoke: "INSERT INTO public.init_sql (hash) VALUES ('x')",
  },
];

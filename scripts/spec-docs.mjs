// docs/SPEC.md, made of schema/spec.schema.json: every field with its type, its default and what it means.

const HEAD = `# The spec

One YAML document that declares a cluster and its databases. \`citus-databases init\` writes a first one,
\`citus-databases validate\` checks one without a server, and editors complete it by
[its JSON Schema](../schema/spec.schema.json), named in its first line:

<!-- test: spec -->
\`\`\`yaml
# yaml-language-server: $schema=schema/spec.schema.json
cluster:
  coordinator: { host: citusdemo-0 }
  workers:
    - { group: 1, host: citusdemo-1 }
databases:
  - name: skymap
\`\`\`

Files are relative to the folder of the spec. \`null\` and an absent key mean the same. An unknown key is an error.

<!-- Everything below is made of schema/spec.schema.json by scripts/generate-spec-schema.mjs. -->
`;

/** The sections, in the order in which a reader needs them; each is a path into the schema. */
export function specReference(schema) {
  const sections = [];
  section({ title: 'The document', path: '', schema, sections });
  return `${HEAD}\n${sections.join('\n')}`;

  /** One table for a mapping, and after it those of the mappings inside it. */
  function section({ title, path, schema: of, sections: into }) {
    const required = new Set(of.required ?? []);
    const inner = [];
    const rows = Object.entries(of.properties).map(([name, field]) => {
      const full = path === '' ? name : `${path}.${name}`;
      for (const found of mappings(field)) {
        const at = found.list ? `${full}[]` : full;
        if (!inner.some((other) => other.path === at)) inner.push({ path: at, schema: found.schema });
      }
      return `| \`${name}\` | ${typeOf(field)} | ${defaultOf(field, required.has(name))} | ${cell(field.description ?? '')} |`;
    });
    into.push(`## ${title}\n\n| field | type | default | meaning |\n|---|---|---|---|\n${rows.join('\n')}\n`);
    for (const next of inner) {
      // The other name of \`databases\` has the same fields.
      if (next.path.startsWith('additionalDatabases')) continue;
      section({ title: `\`${next.path}\``, ...next, sections: into });
    }
  }

  /** The mappings that a field's value may be, or consist of. */
  function mappings(field, list = false) {
    const of = resolve(field);
    if (of.anyOf !== undefined) return of.anyOf.flatMap((one) => mappings(one, list));
    if (of.type === 'array') return mappings(of.items, true);
    return of.properties === undefined ? [] : [{ schema: of, list }];
  }

  function resolve(field) {
    if (field.$ref === undefined) return field;
    return schema.$defs[field.$ref.split('/').at(-1)];
  }

  function typeOf(field) {
    const names = [...new Set(typesOf(field))].filter((name) => name !== 'null');
    return names.join(' or ');
  }

  function typesOf(field) {
    const of = resolve(field);
    if (of.enum !== undefined) return of.enum.map((value) => `\`${value}\``);
    if (of.anyOf !== undefined) return of.anyOf.flatMap(typesOf);
    if (of.type === 'array')
      return [`list of ${[...new Set(typesOf(of.items))].filter((name) => name !== 'null').join(' or ')}`];
    if (of.type === 'object') return ['mapping'];
    const types = Array.isArray(of.type) ? of.type : [of.type];
    return types.map(
      (type) => ({ string: 'text', integer: 'whole number', boolean: '`true` or `false`' })[type] ?? type,
    );
  }
}

function defaultOf(field, required) {
  if (required) return '**required**';
  const { default: value } = field;
  if (value === undefined) return '';
  if (Array.isArray(value)) return '`[]`';
  if (typeof value === 'object') return '`{}`';
  return `\`${value}\``;
}

function cell(text) {
  return text.replaceAll('|', String.raw`\|`).replaceAll('<', '&lt;');
}

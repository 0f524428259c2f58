/** Imports point one way (docs/architecture.md): each row names what a folder must not know. */
const only = (folder, ...allowed) => ({
  name: `${folder}-imports`,
  severity: 'error',
  comment: `src/${folder} may import only: ${allowed.join(', ') || 'nothing of src'}`,
  from: { path: `^src/${folder}/` },
  to: { path: '^src/', pathNot: [folder, ...allowed].map((name) => `^src/${name}(/|\\.ts$)`) },
});

const driver = (name, home) => ({
  name: `${name}-driver`,
  severity: 'error',
  comment: `${name} is imported in ${home} and nowhere else`,
  from: { path: '^src/', pathNot: `^${home}` },
  to: { path: `node_modules/${name}/` },
});

module.exports = {
  forbidden: [
    only('segments'),
    only('runtime'),
    only('storage', 'runtime'),
    only('embedded', 'runtime'),
    only('ingest', 'segments', 'storage', 'runtime'),
    only('evaluation', 'segments', 'storage', 'runtime'),
    only('streaming', 'segments', 'storage', 'runtime'),
    only('resolvers', 'ingest', 'evaluation', 'streaming', 'segments', 'storage', 'runtime'),
    only('schema', 'resolvers', 'segments', 'runtime'),
    driver('mysql2', 'src/(storage/mysql|embedded)/'),
    driver('drizzle-orm', 'src/storage/mysql/'),
    driver('@clickhouse/client', 'src/storage/clickhouse/'),
    driver('kafkajs', 'src/storage/log/'),
    driver('@pothos/[^/]+', 'src/schema/'),
    { name: 'no-circular', severity: 'error', from: {}, to: { circular: true } },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    tsConfig: { fileName: 'tsconfig.json' },
    tsPreCompilationDeps: true,
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default'] },
  },
};

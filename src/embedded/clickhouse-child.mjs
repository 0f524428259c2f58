// A ClickHouse server inside libchdb. The call blocks its thread for the life of the server, so it has this process
// to itself.   node clickhouse-child.mjs LIBRARY PARENT_PID PROTOCOLS CLICKHOUSE_LOCAL_ARGUMENT...
// PROTOCOLS: of those that have a port in the configuration, HTTP or HTTP,TCP.
import { DataType, load, open } from 'ffi-rs';

const [library, parent, protocols, ...args] = process.argv.slice(2);

// Without its parent the server would hold the data folder for ever: let the kernel end it together with the parent.
if (process.platform === 'linux') {
  const PR_SET_PDEATHSIG = 1;
  const SIGKILL = 9;
  open({ library: 'libc', path: 'libc.so.6' });
  load({
    library: 'libc',
    funcName: 'prctl',
    retType: DataType.I32,
    paramsType: [DataType.I32, DataType.U64, DataType.U64, DataType.U64, DataType.U64],
    paramsValue: [PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0],
  });
}
if (process.ppid !== Number(parent)) process.exit(1); // It died before we asked.

const argv = [
  'clickhouse-local',
  ...args,
  '--query',
  [
    ...protocols.split(',').map((protocol) => `SYSTEM START LISTEN ${protocol}`),
    'SELECT sleepEachRow(1) FROM system.numbers FORMAT Null SETTINGS max_block_size = 1',
  ].join('; '),
];
open({ library: 'chdb', path: library });
load({
  library: 'chdb',
  funcName: 'query_stable_v2',
  retType: DataType.External,
  paramsType: [DataType.I32, DataType.StringArray],
  paramsValue: [argv.length, argv],
});
process.exit(1); // The call only returns when the server could not run; ClickHouse has said why on stderr.

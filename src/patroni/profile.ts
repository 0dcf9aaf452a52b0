const MEGABYTE = 2 ** 20;

/**
 * Sizes for a server that has the memory to itself, as docs/POSTGRESQL_CONFIG_MIGRATION.md lists them: a quarter for
 * PostgreSQL's own cache, three quarters assumed cached in all, and work memory in proportion (32MB at 8 GB, 64MB at
 * 16 GB; 512MB and 1GB for maintenance). Below 1 GB the fixed sizes shrink too, above 32 GB work memory stops growing,
 * because each sort of each connection may take it.
 */
export function deriveProfile(memoryBytes: number): Readonly<Record<string, string>> {
  return {
    shared_buffers: size(memoryBytes / 4, 1),
    effective_cache_size: size((memoryBytes * 3) / 4, 1),
    work_mem: size(memoryBytes / 256, 1, 128),
    maintenance_work_mem: size(memoryBytes / 16, 16, 2048),
    wal_buffers: size(memoryBytes / 64, 1, 16),
  };
}

/** In whole megabytes, or gigabytes where it comes out even. */
function size(bytes: number, least: number, most = Number.POSITIVE_INFINITY): string {
  const megabytes = Math.min(most, Math.max(least, Math.floor(bytes / MEGABYTE)));
  return megabytes % 1024 === 0 ? `${megabytes / 1024}GB` : `${megabytes}MB`;
}

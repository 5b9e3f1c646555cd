export type LockEntry = {
  readonly version?: string;
  readonly dev?: boolean;
  readonly optional?: boolean;
  readonly os?: readonly string[];
  readonly cpu?: readonly string[];
  readonly libc?: readonly string[];
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly [key: string]: unknown;
};

export type Lock = { readonly packages: Readonly<Record<string, LockEntry>>; readonly [key: string]: unknown };

/** The lock with an entry for every optional dependency that is named by an exact version and a platform. */
export function completeLock(lock: Lock): { readonly lock: Lock; readonly added: readonly string[] } {
  const packages = new Map(Object.entries(lock.packages));
  const added: string[] = [];
  for (const { optionalDependencies, dev } of Object.values(lock.packages)) {
    for (const [name, version] of Object.entries(optionalDependencies ?? {})) {
      const platform = platformOf(name);
      if (packages.has(`node_modules/${name}`) || platform === null || !/^\d+\.\d+\.\d+/.test(version)) continue;
      packages.set(`node_modules/${name}`, { version, ...platform, ...(dev ? { dev } : {}), optional: true });
      added.push(name);
    }
  }
  if (added.length === 0) return { lock, added };
  const sorted = [...packages].toSorted(([a], [b]) => (a < b ? -1 : 1));
  return { lock: { ...lock, packages: Object.fromEntries(sorted) }, added };
}

const SYSTEMS = ['android', 'darwin', 'freebsd', 'linux', 'netbsd', 'openbsd', 'openharmony', 'sunos', 'aix', 'win32'];
const PROCESSORS = ['arm64', 'arm', 'x64', 'ia32', 'ppc64', 'riscv64', 's390x', 'loong64', 'mips64el', 'wasm32'];

/** What `@oxlint/binding-linux-arm64-musl` is for; null where the name does not say. */
export function platformOf(name: string): Pick<LockEntry, 'os' | 'cpu' | 'libc'> | null {
  const words = name.split('/').at(-1)!.split('-');
  const os = SYSTEMS.find((system) => words.includes(system));
  const cpu = PROCESSORS.find((processor) => words.includes(processor));
  if (os === undefined || cpu === undefined) return null;
  const libc =
    os !== 'linux'
      ? null
      : words.some((word) => word.startsWith('musl'))
        ? 'musl'
        : words.some((word) => word.startsWith('gnu'))
          ? 'glibc'
          : null;
  return { cpu: [cpu], ...(libc === null ? {} : { libc: [libc] }), os: [os] };
}

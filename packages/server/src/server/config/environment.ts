export type Environment = Readonly<Record<string, string | undefined>>;

/** The one place where the process's environment is read; everything else is handed what it needs. */
export function processEnvironment(): Environment {
  return process.env;
}

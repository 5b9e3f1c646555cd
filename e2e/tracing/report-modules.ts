import { registerHooks } from 'node:module';
import { writeSync } from 'node:fs';

/** With `--import`: says on standard error which modules of OpenTelemetry the program asks for, but for its API, which prom-client loads anyway. */
registerHooks({
  resolve(specifier, context, next) {
    const resolved = next(specifier, context);
    if (/\/@opentelemetry\/(?!api\/)/.test(resolved.url)) writeSync(2, `LOADED ${specifier}\n`);
    return resolved;
  },
});

import { registerHooks } from 'node:module';

/**
 * To be loaded before a program (`--import`): writes a line of the log for each package of OpenTelemetry that the program
 * loads.
 */
registerHooks({
  resolve(specifier, context, next) {
    if (specifier.startsWith('@opentelemetry/')) {
      process.stdout.write(`${JSON.stringify({ msg: 'loaded', specifier })}\n`);
    }
    return next(specifier, context);
  },
});

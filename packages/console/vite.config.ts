import react from '@vitejs/plugin-react';
import { defineConfig } from 'vite';

/** The server serves `dist/index.html` at /graphql and `dist/assets` at /graphql/assets. */
export default defineConfig({
  base: '/graphql/',
  plugins: [react()],
  build: {
    target: 'es2024',
    outDir: 'dist',
    assetsDir: 'assets',
    // Monaco alone is over any warning limit worth having.
    chunkSizeWarningLimit: 5_000,
    // One page, opened by developers: splitting preloads buys nothing and costs an inline script that the CSP forbids.
    modulePreload: { polyfill: false },
    rolldownOptions: {
      onLog(level, log, handler) {
        // "use client" marks in dependencies mean nothing in a browser bundle.
        if (log.code !== 'MODULE_LEVEL_DIRECTIVE') handler(level, log);
      },
    },
  },
  worker: { format: 'es' },
});

import { banned } from './rules/banned.ts';
import { declaredImports } from './rules/declared-imports.ts';
import { dependencies } from './rules/dependencies.ts';
import { escapeHatches } from './rules/escape-hatches.ts';
import { importDirection } from './rules/import-direction.ts';
import { links } from './rules/links.ts';
import { fileNames } from './rules/names.ts';
import { sizes } from './rules/sizes.ts';
import type { Rule } from './source-file.ts';

export const rules: readonly Rule[] = [importDirection, declaredImports, sizes, escapeHatches, banned, fileNames, links, dependencies];

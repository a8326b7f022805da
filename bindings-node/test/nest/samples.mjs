// samples.mjs DIRECTORY FILE…: writes each ```ts block of the pages into DIRECTORY as a module, and each ```js block as
// CommonJS text, so that what the pages show is compiled and run.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';

const [directory, ...files] = process.argv.slice(2);
mkdirSync(directory, { recursive: true });
for (const file of files) {
  const blocks = [...readFileSync(file, 'utf8').matchAll(/^```(ts|js)\n([\s\S]*?)^```$/gm)];
  blocks.forEach(([, language, code], index) => {
    const name = `${basename(file, '.md').toLowerCase()}-${index}.${language === 'ts' ? 'ts' : 'txt'}`;
    writeFileSync(
      join(directory, name),
      language === 'ts' && !/^(import|export) /m.test(code) ? `${code}export {};\n` : code,
    );
  });
}

// TypeScript's compiler, the one in JavaScript, on this project's lib/: twice, one after the other, as an editor's server
// does it when files change.
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import ts from "typescript";
import { rest } from "../support/rest.mjs";

const programs = 2;
const root = join(dirname(fileURLToPath(import.meta.url)), "../../..");
const config = ts.getParsedCommandLineOfConfigFile(
  join(root, "tsconfig.esm.json"),
  { noEmit: false, skipLibCheck: false },
  { ...ts.sys, onUnRecoverableConfigFileDiagnostic: ({ messageText }) => console.error(messageText) },
);

function compile() {
  const program = ts.createProgram(config.fileNames, config.options);
  let bytes = 0;
  program.emit(undefined, (_, text) => {
    bytes += text.length;
  });
  const faults = ts.getPreEmitDiagnostics(program).length;
  return `${config.fileNames.length} files, ${bytes} characters, ${faults} faults`;
}

for (let program = 0; program < programs; program++) console.log(compile());
await rest();

/** The process of a host: `scanout host` that ends with the process that started it, however that ends. */
import { main } from '../cli.ts';
import { endWithParent } from '../end-with-parent.ts';

endWithParent();
process.exitCode = await main(['host', ...process.argv.slice(2)]);

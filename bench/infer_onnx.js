// Predictions by ONNX Runtime: infer_onnx.js MODEL.onnx THREADS SHAPE..., the shape of a sample.
// Rests on npm's onnxruntime-node, found by NODE_PATH. Answers as infer_soma does; the times have its few microseconds
// of JavaScript in them.
const ort = require('onnxruntime-node');
const readline = require('readline');

async function timeCalls(session, feeds, seconds) {
    const now = () => Number(process.hrtime.bigint()) * 1e-9;
    for (const warm = now() + 0.1 * seconds; now() < warm;) await session.run(feeds);
    const samples = [];
    for (const end = now() + seconds; samples.length < 20 || now() < end;) {
        const start = now();
        await session.run(feeds);
        samples.push(now() - start);
    }
    samples.sort((a, b) => a - b);
    return [samples[samples.length >> 1], samples[Math.floor(0.99 * samples.length)]];
}

async function main() {
    const [path, threads, shape] = [process.argv[2], Number(process.argv[3]), process.argv.slice(4).map(Number)];
    const inputs = shape.reduce((a, b) => a * b, 1);
    const session = await ort.InferenceSession.create(path, {
        executionProviders: ['cpu'], graphOptimizationLevel: 'all', intraOpNumThreads: threads, interOpNumThreads: 1,
        executionMode: 'sequential',
    });
    for await (const line of readline.createInterface({input: process.stdin})) {
        const [batch, seconds] = line.split(' ').map(Number);
        const x = new Float32Array(batch * inputs).map((_, i) => (i * 7919 % 1024) / 512 - 1);
        const feeds = {[session.inputNames[0]]: new ort.Tensor('float32', x, [batch, ...shape])};
        const [median, slow] = await timeCalls(session, feeds, seconds);
        console.log(`${median.toFixed(9)} ${slow.toFixed(9)}`);
    }
}

main().catch((error) => { console.log('error ' + error.message.split('\n')[0]); process.exit(1); });

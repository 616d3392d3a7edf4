# Work g: a training step of a small GPT, 4 layers of 4 heads, d 128, context 128, vocabulary 96, batch 16, AdamW.
# Rests on steps.py. Blocks normalize first, the hidden layers are four times as wide and use gelu, as GPT-2 has it.
from steps import Work, step_part

ORDER, SUMMARY = 50, "a training step of a GPT of 4 layers, d 128, beside PyTorch (work g)"
BATCH, CONTEXT, VOCABULARY, WIDTH, HEADS, LAYERS = 16, 128, 96, 128, 4, 4
TOKENS = BATCH * CONTEXT
# A layer's twelve squares of weights and its two products of attention, counted without regard to the mask; the output.
FLOPS = 3 * 2.0 * TOKENS * (LAYERS * (12 * WIDTH * WIDTH + 2 * CONTEXT * WIDTH) + WIDTH * VOCABULARY)
BLOCK = {"transformer_decoder": {"intermediate_dim": 4 * WIDTH, "num_heads": HEADS, "activation": "gelu",
                                 "normalize_first": True}}
WORK = Work(name="step of a GPT, 4 layers, d 128, context 128, batch 16, AdamW", part="part_gpt",
            model=[{"embedding": {"input_dim": VOCABULARY, "output_dim": WIDTH, "input_shape": [CONTEXT]}},
                   {"position_embedding": {"sequence_length": CONTEXT}}] + [BLOCK] * LAYERS +
                  [{"layer_normalization": {"epsilon": 1e-5}}, {"dense": VOCABULARY}],
            compile={"optimizer": "adamw", "loss": "sparse_categorical_crossentropy_from_logits"},
            batch=BATCH, x=f"i64:{VOCABULARY}", y=f"i64:{VOCABULARY}:{CONTEXT}", flops=FLOPS, ratio=2, scaling=True)


def torch_work(torch):
    functional = torch.nn.functional

    class Block(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.norm1, self.norm2 = torch.nn.LayerNorm(WIDTH), torch.nn.LayerNorm(WIDTH)
            self.qkv, self.out = torch.nn.Linear(WIDTH, 3 * WIDTH), torch.nn.Linear(WIDTH, WIDTH)
            self.up, self.down = torch.nn.Linear(WIDTH, 4 * WIDTH), torch.nn.Linear(4 * WIDTH, WIDTH)

        def forward(self, x, mask):
            parts = self.qkv(self.norm1(x)).split(WIDTH, 2)
            q, k, v = (part.view(BATCH, CONTEXT, HEADS, -1).transpose(1, 2) for part in parts)
            scores = (q @ k.transpose(2, 3)) * (WIDTH // HEADS) ** -0.5
            y = functional.softmax(scores.masked_fill(mask, float("-inf")), dim=3) @ v
            x = x + self.out(y.transpose(1, 2).reshape(BATCH, CONTEXT, WIDTH))
            return x + self.down(functional.gelu(self.up(self.norm2(x))))

    class Net(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.tokens, self.places = torch.nn.Embedding(VOCABULARY, WIDTH), torch.nn.Embedding(CONTEXT, WIDTH)
            self.blocks = torch.nn.ModuleList(Block() for _ in range(LAYERS))
            self.norm, self.head = torch.nn.LayerNorm(WIDTH), torch.nn.Linear(WIDTH, VOCABULARY)
            self.mask = torch.ones(CONTEXT, CONTEXT, dtype=torch.bool).triu(1)

        def forward(self, x):
            x = self.tokens(x) + self.places.weight
            for block in self.blocks:
                x = block(x, self.mask)
            return self.head(self.norm(x)).view(-1, VOCABULARY)

    net = Net()
    x, y = torch.randint(VOCABULARY, (BATCH, CONTEXT)), torch.randint(VOCABULARY, (TOKENS,))
    optimizer = torch.optim.AdamW(net.parameters(), lr=1e-3, eps=1e-7, weight_decay=0.004, foreach=True)
    return net, x, y, torch.nn.CrossEntropyLoss(), optimizer


def run(bench):
    step_part(bench, WORK)

"""The training stages, one file each: pretrain, sft, correct, reward, dpo, kto, rloo, ppo."""

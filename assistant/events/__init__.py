"""Events: what programs tell each other as codes with parameters, and their texts in English and Chinese."""
